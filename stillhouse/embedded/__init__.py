"""The whole service on one machine, as child processes of this one. Needs the extra `server`."""

from stillhouse.embedded.children import ChildDied
from stillhouse.embedded.folder import FolderInUse
from stillhouse.embedded.port import PortTaken
from stillhouse.embedded.stack import EmbeddedStack, NoKeys, NotReady

__all__ = ["ChildDied", "EmbeddedStack", "FolderInUse", "NoKeys", "NotReady", "PortTaken"]
