"""What tests of mail look at: a page of HTML, and what readers that are not ours say."""
import html.parser
import subprocess


class Page(html.parser.HTMLParser):
    """What is on an HTML page: its elements, links and text."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.links, self.attributes, self.words = set(), set(), set(), []
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.elements.add(tag)
        self.attributes |= {name for name, value in attributes}
        self.links |= {value for name, value in attributes if name in ('href', 'src', 'background')}

    def handle_data(self, data):
        self.words.append(data)


def tool(*command):
    """What a program prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
