"""Encoders: engines that make vectors or scores of texts. What they and their node say to each other is what
`inference.engine.messages` says, but for the requests and their answers.

node → encoder
    start    {spec: {model_dir, lease_bytes, lease_grows?, context_limit?, max_waiting?, patience?, task?}}
             `task`: "embedding" or "rerank", where somebody decided what the model is.
    request  {id, kind: "embed", inputs: ["text" | [token ids], ...], dimensions?, most?, param?="input"}
    request  {id, kind: "score", firsts: ["text"] | as many as seconds, seconds: ["text", ...], most?, most_second?,
              param?}
             `most` tokens of a row, special ones included: what is longer is cut, and refused when it is absent. Of a
             pair the second text is cut, to `most_second` tokens if that is given. `param` names the client's field.

encoder → node, about a request
    event accepted {id, prompt_tokens, max_tokens: 0}, or refused: 400 invalid_value, context_length_exceeded,
             empty_prompt · 413 context_too_large_for_memory · 503 queue_full
    event vectors  {id, numbers: [...], data}    of one batch: for each number of an input as many float32s,
             little-endian, in base64. A score is one, between 0 and 1.
    event finished {id, choices: [], usage, timings}, failed (503 no_room, engine_stopped · 500 engine_error) or aborted
"""
