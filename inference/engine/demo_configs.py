"""The shapes of the demo models, and what they share: special tokens and a chat template with tools and reasoning."""

from typing import Any

END = "<|im_end|>"
SPECIALS = ("<|endoftext|>", "<|im_start|>", END)
MARKERS = ("<think>", "</think>", "<tool_call>", "</tool_call>")  # text, not special: as Qwen3 has them
VOCABULARY = 1020  # and the markers

CHAT_TEMPLATE = (
    "{%- if tools %}<|im_start|>system\n{{ messages[0].content if messages[0].role == 'system' else '' }}"
    "\n# Tools\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}"
    'Reply with <tool_call>{"name": ..., "arguments": ...}</tool_call>.<|im_end|>\n'
    "{%- elif messages[0].role == 'system' %}<|im_start|>system\n{{ messages[0].content }}<|im_end|>\n{%- endif %}"
    "{%- for message in messages %}{%- if not (loop.first and message.role == 'system') %}"
    "<|im_start|>{{ message.role }}\n{{ message.content or '' }}"
    "{%- for tool_call in message.tool_calls or [] %}{%- set tool_call = tool_call.function or tool_call %}"
    '<tool_call>{"name": "{{ tool_call.name }}", "arguments": {{ tool_call.arguments | tojson }}}</tool_call>'
    "{%- endfor %}<|im_end|>\n{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n{%- endif %}"
)

CHAT = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 192,
    "num_hidden_layers": 2,
    "intermediate_size": 416,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 32,
}
HYBRID = {
    "architectures": ["Qwen3NextForCausalLM"],
    "model_type": "qwen3_next",
    "hidden_size": 128,
    "num_hidden_layers": 4,
    "intermediate_size": 256,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "full_attention_interval": 4,
    "partial_rotary_factor": 0.5,
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 32,
    "linear_value_head_dim": 32,
    "linear_conv_kernel_dim": 4,
    "num_experts": 0,
    "num_experts_per_tok": 0,
    "decoder_sparse_step": 1,
    "shared_expert_intermediate_size": 0,
    "mlp_only_layers": [],
    "moe_intermediate_size": 0,
    "norm_topk_prob": True,
    "rope_scaling": None,
}
SWA = {
    "architectures": ["Gemma3ForCausalLM"],
    "model_type": "gemma3_text",
    "hidden_size": 128,
    "num_hidden_layers": 6,
    "intermediate_size": 256,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "sliding_window": 64,
    "sliding_window_pattern": 3,
    "rope_local_base_freq": 10000.0,
    "query_pre_attn_scalar": 32,
    "rope_traditional": False,
}
KINDS: dict[str, dict[str, Any]] = {"chat": CHAT, "hybrid": HYBRID, "swa": SWA}


def config(kind: str, vocabulary: int, end_id: int) -> dict[str, Any]:
    shared = {
        "vocab_size": vocabulary,
        "eos_token_id": end_id,
        "bos_token_id": None,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }
    return shared | KINDS[kind]


def tokenizer_config(model_config: dict[str, Any]) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": SPECIALS[0],
        "model_max_length": model_config["max_position_embeddings"],
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
