"""What a LlamaIndex call is about: its question, its length, and what it needs of a model.

Retrieved text must not decide the route, so the question is looked for, in this order:

1. an explicit :func:`avengers_core.serving.question.routing_hint`;
2. the prompt's own variable for it (``query_str``, ``question``, ...), given with the call or by
   ``partial_format`` before;
3. the prompt's template with its context variables left empty;
4. the last message that a human wrote;
5. nothing: the artifact's overall means decide.
"""

from avengers_llamaindex.question.conversations import from_messages, from_text, from_tools
from avengers_llamaindex.question.prompt import Prompt
from avengers_llamaindex.question.templates import from_template

__all__ = ["Prompt", "from_messages", "from_template", "from_text", "from_tools"]
