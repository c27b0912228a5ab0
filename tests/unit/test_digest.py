"""An environment counts by what it holds, not by how it is written down."""

from stfpm3d.runtime.digest import environment_digest


def test_an_environment_counts_by_content(tmp_path):
    path = tmp_path / "env.yaml"
    path.write_text("dependencies:\n  - python=3.12\n")
    before = environment_digest(path)
    path.write_text("# pinned\ndependencies: [python=3.12]\n")
    assert environment_digest(path) == before
    path.write_text("dependencies: [python=3.13]\n")
    assert environment_digest(path) != before
