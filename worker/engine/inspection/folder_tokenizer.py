"""The tokenizer of a Hugging Face folder, as a model's preprocessing."""

import json
from typing import Any

from pydantic import ValidationError
from tokenizers import BertWordPieceTokenizer

from app.contract.preprocessing import MASKED, Tokenizer
from app.contract.problems import problems_of
from worker.engine.failures import Refused
from worker.engine.inspection.folder_archive import Folder

_MAX_TOKENS = 128
_SPECIAL = ("[UNK]", "[CLS]", "[SEP]")


def tokenizer_of(folder: Folder, max_tokens: int | None, positions: int | None) -> Tokenizer:
    """Return the tokenizer; texts are cut where it says itself, unless `max_tokens` does. Raises Refused."""
    content = folder.table("tokenizer.json") or _of_vocabulary(folder)
    cut = max_tokens or min(_own_cut(content) or _MAX_TOKENS, positions or _MAX_TOKENS)
    try:
        return Tokenizer(content=content, mask=_mask(folder), max_tokens=cut)
    except ValidationError as error:
        sentences = [f"The folder's tokenizer: {problem.detail}." for problem in problems_of(error, {})]
        raise Refused(*sentences) from error


def _own_cut(content: dict[str, Any]) -> int | None:
    truncation = content.get("truncation")
    found = truncation.get("max_length") if isinstance(truncation, dict) else None
    return found if isinstance(found, int) and found > 0 else None


def _mask(folder: Folder) -> str:
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        token = folder.table(name).get("mask_token")
        word = token.get("content") if isinstance(token, dict) else token
        if isinstance(word, str) and word:
            return word
    return MASKED


def _of_vocabulary(folder: Folder) -> dict[str, Any]:
    """Return what tokenizer.json of a BERT would hold, from its vocabulary of word pieces."""
    if "vocab.txt" not in folder.papers:
        raise Refused(
            "The folder has no tokenizer.json, nor the vocab.txt of a BERT: write one with "
            "AutoTokenizer.from_pretrained(folder).save_pretrained(folder), or give a preprocessing."
        )
    try:
        lines = folder.papers["vocab.txt"].decode().splitlines()
    except UnicodeDecodeError as error:
        raise Refused("The folder's vocab.txt is not UTF-8 text.") from error
    vocabulary = {line: number for number, line in enumerate(lines)}
    if missing := [token for token in _SPECIAL if token not in vocabulary]:
        raise Refused(f"The folder's vocab.txt is not a BERT's: it lacks {', '.join(missing)}.")
    settings = folder.table("tokenizer_config.json")
    made = BertWordPieceTokenizer(
        vocabulary,
        lowercase=settings.get("do_lower_case") is not False,
        strip_accents=settings.get("strip_accents") if isinstance(settings.get("strip_accents"), bool) else None,
        handle_chinese_chars=settings.get("tokenize_chinese_chars") is not False,
    )
    content: dict[str, Any] = json.loads(made.to_str())
    return content
