"""xbnet's defaults on real tables, beside linear models, trees and networks of others, in five folds each."""
