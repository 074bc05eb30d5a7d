"""xbnet's defaults on real tables, compared with linear models, trees and networks of others, in five folds each."""
