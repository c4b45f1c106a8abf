"""Cells stay cells, whatever is in them."""

from sedistill.common.report.markdown import markdown_image, markdown_table, markdown_text


def test_cells_of_markdown_stay_cells() -> None:
    table = markdown_table(["", "a|b"], [["<script>\nx", "`c` \\| d"]])
    assert table.splitlines() == ["|  | a\\|b |", "| --- | ---: |", "| &lt;script> x | \\`c\\` \\\\\\| d |"]


def test_a_sentence_of_markdown_holds_no_html() -> None:
    assert markdown_text("a <b>\n&lt; R&B `code`") == "a &lt;b> &amp;lt; R&B `code`"


def test_a_picture_is_a_picture_whatever_its_names() -> None:
    image = markdown_image("a [b](c) <i>", "figures/<img src=x>) a.svg")
    assert image == r"![a \[b\](c) &lt;i>](figures/%3Cimg%20src%3Dx%3E%29%20a.svg)"
