"""The Python examples of the project's README run as they stand."""

import pathlib
import re

README = pathlib.Path(__file__).parents[2] / "README.md"


def test_the_examples_of_the_readme_run(capsys):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks, "the README has lost its Python example"
    for block in blocks:
        exec(compile(block, str(README), "exec"), {})
    out = capsys.readouterr().out
    assert "points" in out and "vip_rescue" in out
