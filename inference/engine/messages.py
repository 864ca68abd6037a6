"""What an engine and its node say to each other, on top of `memory.protocol` (one JSON object per line).

Sizes are bytes, times seconds, ids strings that the node chooses and never uses twice. Everything the engine says
about a request is `event` with a `phase`. Fields not named here are ignored; a field that is `null` is absent.

node → engine
    start    {spec: {model_dir, lease_bytes, lease_grows?=false, margin_bytes?=8 MiB, context_limit?,
              decode_gap_ms?=50, max_sequences?=64, max_waiting?=1024, patience?=5.0,
              cache?: {folder?, quota_bytes?, hot_bytes?}}}
             `margin_bytes` of the lease are kept free at least, a 64th part of it where that is more;
             `context_limit` tokens, at most the model's own; `max_sequences` decode at once; `max_waiting` requests
             may wait; `patience`: how long a request that does not fit now waits for room before it is refused.
             `cache` is of the prefix cache: `folder` and `quota_bytes` of its blocks on the SSD, without which they
             are kept in memory only; `hot_bytes` of memory, by default half of what the lease leaves beside the
             model, and given back before anything is refused.
    request  {id, kind: "chat", messages: [...], tools?: [...], tool_choice?="auto", parallel_tool_calls?=true,
              reasoning?: {...}, template?: {...}, add_generation_prompt?=true, continue_final_message?=false,
              ...parameters}
    request  {id, kind: "completion", prompt: "text" | [token ids], ...parameters}
             One prompt per request. `template` is passed to the chat template (`enable_thinking`, ...).
             Message contents are strings, or lists of {type: "text", text} parts, which are joined. An assistant's
             message may have `reasoning_content` and `tool_calls: [{id, type: "function", function: {name, arguments:
             JSON text or object}}]`, and a message of role "tool" answers the call of its `tool_call_id`.
             `tools` are OpenAI's: [{type: "function", function: {name, description?, parameters?, strict?}}].
             `tool_choice` is "auto", "none" (the model does not see the tools), "required", {name}, or {names, mode:
             "auto" | "required"}, of those that may be called.
             `reasoning` is {enabled?: bool, effort?: str, budget?: int, place?: str}: think or not, if the model leaves
             the choice; how hard, as its template names it; and how many tokens of thought at most, then it is ended.
             `place` is what the client calls that, for refusals; so it is in `structure`.
    abort    {id}    ends one request, at the latest after the prefill chunk or the decode step that is running
             `lease_grows`: the node answers `event lease` with `lease`; a prompt that is too large for the lease waits
             for that, and is refused as 413 only when the node has said that there can never be enough.
    lease    {bytes, most?} the lease was resized, or not; `most` is what it could be at most, if the node knows that.
             What does not fit any more is given back, then a status is sent at once.
    stop             ends the engine: `done {manifest: {requests, prompt_tokens, completion_tokens}}`, then it exits

parameters, all optional
    stream=false  max_tokens (absent: up to the context)  temperature  top_p  top_k  min_p  (absent: the model's
    generation_config, else 1, 1, 0, 0)  repetition_penalty=1  presence_penalty=0  frequency_penalty=0
    logit_bias={"token id": bias}  seed  stop="text" | [up to 16 texts]  ignore_eos=false  n=1 (up to 16)
    best_of (n to 16: so many are made, and the n with the best mean logprob given; not with stream)
    logprobs=false  top_logprobs=0 (up to 20)
    structure: {json_object: true} | {json_schema: {...}} | {regex: "..."} | {choice: ["...", ...]} | {grammar: "..."}
             what the answer is forced to be, from where the thought ends; a grammar is in Lark's form or in GBNF.
             With `lenient: true`, what of a schema it cannot be held to is left out of it, else that is refused.
    cache=true  (false: this prompt is neither looked up in the prefix cache nor kept there)
    tokenise=false (true: nothing is computed, and parameters are not looked at: which tokens are the prompt, with
    `strings` also as they are spelt, without `ids` only how many; with `tokens` in place of a prompt: their text)
    probe=false (true: nothing is computed; which blocks of the prompt are in the prefix cache?)
    cache_salt="" (up to 256 characters; prompts with different salts share nothing)

engine → node, about itself
    event loading {step, total}      bytes of weights read; then the self-test
    ready    {model: {name, type, fingerprint, context_window, context_limit, vocab_size, eos_token_ids, bos_token_id,
              chat_template: bool, dtype, parameters, weights_bytes, kv_bytes_per_token, cache_kinds, defaults},
              gate: {lease_bytes, base_bytes, margin_bytes, floor_tokens, estimator, readings, backend, device},
              self_test: {seconds, token}, load_seconds}
    event lease {wanted}             at most once a second: the lease that those who wait, or grow, would need
    event status {tick, running, prefilling, waiting, cohorts, lease_bytes, base_bytes, active_bytes, cache_bytes,
              footprint_bytes, peak_bytes, margin_bytes, promised_bytes, prompt_tokens, completion_tokens,
              chunk_tokens, gate: {passed, shrunk, waited, refused, worst_ratio},
              cache: {block_tokens, problem, hot: {blocks, bytes, limit_bytes, evicted}, hit_hot_tokens,
              hit_ssd_tokens, saved_tokens, queued_tokens, missed: {reason: tokens}, skipped: {reason: blocks},
              ssd?: {...}}}
             `base_bytes` is what is held when nothing runs, `worst_ratio` the most that a forward's measured peak was
             of its bound (above 1, the excess was added to the margin).
             `base_bytes` and what is promised are without the hot blocks, `active_bytes` is with them. The reasons
             are in `cache/tally.py`; `ssd` is there with a folder, and has the figures of `cache.ssd.SsdTier`.
             `problem` says why this model's prompts are not kept, if they are not.
             Once a second from the thread that computes, idle or not (a heartbeat comes from another): an engine that
             is ready and has said nothing for ten seconds is wedged.
    event gate {decision: "shrunk" | "waited" | "refused", times, need_bytes, bound_bytes, lease_bytes, tokens}
             What the gate did not simply pass, at most every five seconds for each kind of decision: `times` since it
             was last told, and the figures of the last one. `bound_bytes` is what the forward, the join or the request
             could take, `need_bytes` that with what is in use and the margin, `tokens` the chunk's or prompt's.
    failed   {code, message, detail}  it cannot load or go on, and exits. Codes: bad_spec, model_unusable,
             lease_too_small, self_test_failed, worker_error, aborted.

engine → node, about a request. First one of
    event accepted {id, prompt_tokens: int, max_tokens: int}      decided before any forward
    event refused  {id, status, code, message, param, retry_after}     the end of it
             400 invalid_value · 400 context_length_exceeded (param messages or prompt) · 400 no_chat_template ·
             400 template_error · 400 empty_prompt · 413 context_too_large_for_memory · 503 no_room ·
             503 queue_full (both with retry_after, whole seconds) · 500 engine_error
    event probed   {id, prompt_tokens, block_tokens, cached_tokens, blocks: [{end, where: "hot" | "ssd" | "absent",
              complete}, ...]}   the end of a probe. `end` counts tokens; `cached_tokens` would not be computed again,
              which is less than there is where the model needs snapshots and a block is not `complete`.
    event tokenised {id, count, context_limit, ids?, strings?, text?}     the end of a request with `tokenise`
then, if it was accepted
    event prefill  {id, done, total}    after every chunk but the last; tokens
    event deltas   {deltas: [{id, index, text, reasoning?, tool_calls?, tokens: int, logprobs?: [...], reason?,
              warning?}, ...]}
             What one tick gave to every streamed request, one line for all. `index` is the choice (n > 1), `tokens`
             how many tokens this took, `reason` is there in the last delta of a choice: "stop" (end token or stop
             text; the stop text itself is not sent), "tool_calls" (it ended by itself, and called), "length". A delta
             may have empty text: its tokens wait for the rest of a character, of a mark or of a possible stop text.
             `reasoning` is a piece of the thought, without its marks. `tool_calls` is [{index, id?, name?, arguments}]:
             `id` and `name` are in the first piece of a call, `arguments` in every piece, each a piece of JSON text.
             `index` counts the calls of the choice. Within a delta the reasoning comes first, then the text, then the
             calls; what comes in another order has a delta of its own. Not sent for requests with stream=false.
and at last one of
    event finished {id, choices: [{index, reason, tokens: int, stop?, text?, reasoning?, tool_calls?, warning?,
              logprobs?}], usage: {prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens},
              timings: {queued, prefill, first_token, decode, total}}
             `cached_tokens` of the prompt were in the prefix cache. What an aborted request computed is kept too.
             `text`, `reasoning`, `tool_calls` ([{id, name, arguments}]) and `logprobs` are whole, and there only with
             stream=false: `reasoning` if there was a thought, `tool_calls` if something was called. What began as a
             call and is none is in the text, and `warning` says so, streamed or not. `stop` is the text or token id
             that ended it. `reasoning_tokens` are of the completion's. `timings` are seconds; first_token counts from
             the arrival of the request.
    event failed   {id, status, code, message}    503 no_room (the gate could not go on; code as for refused),
             413 context_too_large_for_memory, 503 engine_stopped (the node said stop), 500 engine_error
    event aborted  {id, usage}          as asked; also when the request was still waiting. An abort of an id that has
             ended, or never was, is ignored.

logprobs, one object per token: {token: text, id, logprob, bytes: [ints], top: [{token, id, logprob, bytes}, ...]}.
The logprobs are those of the distribution after penalties and logit_bias and before temperature. A line that is no
message, or a request without a usable id, is answered with the protocol's `error {message}`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds; `first_token` and `total` count from the arrival of the request."""

    queued: float
    prefill: float
    first_token: float
    decode: float
    total: float


class Refusal(Exception):
    """A request that is not served, and why. `status` is the HTTP status that says the same."""

    def __init__(
        self, status: int, code: str, message: str, *, param: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.param, self.retry_after = param, retry_after


def refused(id_: str, refusal: Refusal) -> Json:
    return {
        "phase": "refused",
        "id": id_,
        "status": refusal.status,
        "code": refusal.code,
        "message": refusal.message,
        "param": refusal.param,
        "retry_after": refusal.retry_after,
    }


def failed(id_: str, refusal: Refusal) -> Json:
    return {
        "phase": "failed",
        "id": id_,
        "status": refusal.status,
        "code": refusal.code,
        "message": refusal.message,
    }


def accepted(id_: str, prompt_tokens: int, max_tokens: int) -> Json:
    return {"phase": "accepted", "id": id_, "prompt_tokens": prompt_tokens, "max_tokens": max_tokens}


def probed(id_: str, found: Json) -> Json:
    return {"phase": "probed", "id": id_, **found}


def tokenised(id_: str, found: Json) -> Json:
    return {"phase": "tokenised", "id": id_, **found}


def prefilled(id_: str, done: int, total: int) -> Json:
    return {"phase": "prefill", "id": id_, "done": done, "total": total}


def finished(id_: str, choices: Sequence[Mapping[str, Any]], usage: Usage, timings: Timings) -> Json:
    return {
        "phase": "finished",
        "id": id_,
        "choices": list(choices),
        "usage": asdict(usage),
        "timings": {name: round(seconds, 6) for name, seconds in asdict(timings).items()},
    }


def aborted(id_: str, usage: Usage) -> Json:
    return {"phase": "aborted", "id": id_, "usage": asdict(usage)}
