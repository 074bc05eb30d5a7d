"""The checker of links finds what leads nowhere, and nothing else."""

import runpy
from pathlib import Path

check = runpy.run_path(str(Path(__file__).parents[1] / "docs" / "check_links.py"))


def test_dead_links_are_named(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(
        '<a href="sub/b.html#here">1</a>\n<a href="sub/b.html#gone">2</a>\n<a href="#top">3</a><i id="top"></i>\n'
        '<img src="no.png"><a href="https://example.org/x">4</a><a href="sub/">5</a><a href="mailto:a@b">6</a>'
    )
    (tmp_path / "sub" / "b.html").write_text('<a name="here"></a><a href="../index.html#top">back</a>')
    assert list(check["dead_links"](tmp_path.resolve())) == [
        "index.html:2: sub/b.html#gone: that page has no such anchor",
        "index.html:4: no.png: there is no such file",
        "index.html:4: sub/: there is no such file",
    ]
    assert check["main"]([str(tmp_path)]) == 1


def test_a_folder_without_pages_is_refused(tmp_path, capsys):
    assert check["main"]([str(tmp_path)]) == 2
    assert "build them with sphinx first" in capsys.readouterr().out


def test_whole_pages_pass(tmp_path):
    (tmp_path / "index.html").write_text('<a id="a" href="#a">1</a><a href="index.html">2</a>')
    assert check["main"]([str(tmp_path)]) == 0
