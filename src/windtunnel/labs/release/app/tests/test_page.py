import pathlib
import unittest

from webapp.page import render

ROOT = pathlib.Path(__file__).parent.parent


class PageTest(unittest.TestCase):
    def test_the_text_is_on_the_page(self):
        self.assertIn("<h1>hello</h1>", render("hello", "h"))

    def test_text_is_escaped(self):
        self.assertIn("&lt;b&gt;", render("<b>", "h"))

    def test_the_release_has_a_text(self):
        text = (ROOT / "release.txt").read_text().strip()
        self.assertTrue(text, "release.txt is empty")
        self.assertNotIn("BROKEN", text, "release.txt says that this release is broken")


if __name__ == "__main__":
    unittest.main()
