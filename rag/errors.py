"""The errors that a user can meet. Each message names the thing at fault and the cure.

RagError
├── CorpusError      the folder of documents is missing or holds nothing to read
├── DocumentError    one document cannot be read; a rebuild reports it and goes on
├── BadIndex
│   ├── IndexMissing     no index where one was expected
│   ├── IndexMismatch    made by another format version, model or setting
│   ├── IndexDamaged     a file of it is missing, truncated or altered
│   └── IndexAway        the server that keeps it does not answer
├── ModelError       the model is missing or is not the one expected
├── QuestionError    an empty question, or one too long
├── AccountError     an account that cannot be made, or a file of them that cannot be used
├── SettingsError    an unknown setting, or a value out of range
├── EvalError        a question set that cannot be used as it is
├── ConversationError  a file that is no saved conversation
├── ClusterError     no workers can be had, or they are not alike
└── ExtraMissing     a package that only some of the commands need
"""


class RagError(Exception):
    """Shown to the user as one sentence, without a traceback."""


class CorpusError(RagError):
    pass


class DocumentError(RagError):
    pass


class BadIndex(RagError):
    pass


class IndexMissing(BadIndex):
    pass


class IndexMismatch(BadIndex):
    pass


class IndexDamaged(BadIndex):
    pass


class IndexAway(BadIndex):
    pass


class ModelError(RagError):
    pass


class QuestionError(RagError):
    pass


class AccountError(RagError):
    pass


class SettingsError(RagError):
    pass


class EvalError(RagError):
    pass


class ConversationError(RagError):
    pass


class ClusterError(RagError):
    pass


class ExtraMissing(RagError):
    pass
