"""A digest changes with what code does, not with how it is written down."""

import pytest

from stfpm3d.runtime.digest import code_digest, environment_digest

FILES = {
    "job.py": '"""A job."""\nfrom pack.a import f\n\nf()\n',
    "pack/__init__.py": "",
    "pack/a.py": 'def f():\n    """Do."""\n    from . import b\n\n    return b.g(1)\n',
    "pack/b.py": "import os\n\n\ndef g(x):\n    return x + 1  # one more\n",
    "pack/unused.py": "h = 3\n",
}


@pytest.fixture
def root(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def edit(root, name, old, new):
    text = (root / name).read_text()
    assert old in text
    (root / name).write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("pack/b.py", "x + 1", "x + 2"),  # imported inside a function, relatively
        ("pack/a.py", "g(1)", "g(2)"),
        ("pack/__init__.py", "", "import os"),  # runs whenever a module of the package is imported
        ("job.py", "f()", "f(), f()"),
    ],
)
def test_a_change_of_behaviour_anywhere_in_the_closure_counts(root, name, old, new):
    before = code_digest(root / "job.py", root)
    if old:
        edit(root, name, old, new)
    else:
        (root / name).write_text(new)
    assert code_digest(root / "job.py", root) != before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("pack/b.py", "# one more", "# add one"),
        ("pack/a.py", '"""Do."""', '"""Do it well."""'),
        ("pack/b.py", "x + 1", "(x\n            + 1)"),
        ("job.py", "A job.", "The job."),
        ("pack/unused.py", "3", "4"),
    ],
)
def test_comments_docstrings_layout_and_unused_modules_do_not_count(root, name, old, new):
    before = code_digest(root / "job.py", root)
    edit(root, name, old, new)
    assert code_digest(root / "job.py", root) == before


def test_an_environment_counts_by_content(tmp_path):
    path = tmp_path / "env.yaml"
    path.write_text("dependencies:\n  - python=3.12\n")
    before = environment_digest(path)
    path.write_text("# pinned\ndependencies: [python=3.12]\n")
    assert environment_digest(path) == before
    path.write_text("dependencies: [python=3.13]\n")
    assert environment_digest(path) != before
