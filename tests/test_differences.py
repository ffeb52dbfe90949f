"""The documentation of differences says what its page has measured, and names rows that there are."""

import re
from pathlib import Path

from vidode.experiments.paper.differences import Differences
from vidode.experiments.reproduction import rows
from vidode.experiments.reproduction.scales import SMALL

ROOT = Path(__file__).parents[1]
CHANGE = r"[-+]\d+\.\d+(?: \(within the spread\))?"
LINE = re.compile(
    rf"^\| (.+?) \| weizmann \| {CHANGE} \| {CHANGE} \| ([-+]\d+\.\d+)( \(within the spread\))? \|$", re.MULTILINE
)
"""Title, SSIM, LPIPS, and PSNR with what is said of it."""


def measured():
    """What the page says of each choice, as the documentation has it."""
    page = (ROOT / "results" / "small" / "differences.md").read_text()
    return {title: f"({apart} dB)" if unsure else f"**{apart} dB**" for title, apart, unsure in LINE.findall(page)}


def test_every_choice_of_the_page_stands_in_the_documentation_with_what_it_changes():
    told = (ROOT / "docs" / "differences.md").read_text()
    found = measured()
    assert set(found) == {job.title for job in Differences().jobs(SMALL)} - {"vid_ode", "copy_last", "optical_flow"}
    assert rows.RELEASED in found
    for title, apart in found.items():
        assert f'"{title}" {apart}' in told
