import json
import struct

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inference.discovery import scan
from inference.shelf import store
from memory.models import Node


def weights(path, *, cut=0):
    header = json.dumps({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    data = struct.pack("<Q", len(header)) + header + bytes(16)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data[: len(data) - cut])


def diffusers(root, cls="WanPipeline", experts=2):
    parts = {"transformer": ["diffusers", "T"], "text_encoder": ["t", "U"], "tokenizer": ["t", "T"], "vae": ["d", "V"]}
    parts["transformer_2"] = ["diffusers", "T"] if experts == 2 else [None, None]
    root.mkdir(parents=True)
    (root / "model_index.json").write_text(json.dumps({"_class_name": cls, **parts}))
    for name, part in parts.items():
        if part[0] and name != "tokenizer":
            weights(root / name / "model.safetensors")
            (root / name / "config.json").write_text(json.dumps({"_class_name": "Part"}))
    (root / "tokenizer").mkdir()
    return root


def chat(root, **config):
    root.mkdir(parents=True)
    (root / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], **config}))
    weights(root / "model.safetensors")
    return root


def only(folder):
    [found] = scan([folder])
    return found


def test_a_video_model_is_one_model_and_its_parts_are_none(tmp_path):
    root = diffusers(tmp_path / "wan")
    found = only(tmp_path)
    assert (found.name, found.type, found.pipeline, found.path) == ("wan", "video", "wan2.2-t2v-a14b", root)
    assert found.size_bytes == 4 * found.resident_bytes > 0


def test_one_transformer_is_the_5b_model(tmp_path):
    diffusers(tmp_path / "wan", experts=1)
    assert only(tmp_path).pipeline == "wan2.2-ti2v-5b"


def test_folders_of_organisations_and_a_folder_that_is_a_model(tmp_path):
    diffusers(tmp_path / "org" / "wan")
    root = chat(tmp_path / "org" / "llama")
    assert {found.name for found in scan([tmp_path])} == {"org/wan", "org/llama"}
    assert only(root).name == "llama"


def test_the_hub_cache_is_followed_to_its_snapshot(tmp_path):
    repo = tmp_path / "models--org--name"
    chat(repo / "snapshots" / "abc")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("abc")
    assert (only(tmp_path).name, only(tmp_path).type) == ("org/name", "chat")


def test_own_defaults_are_read(tmp_path):
    root = diffusers(tmp_path / "wan")
    (root / "fmlx.json").write_text(json.dumps({"defaults": {"steps": 4}}))
    assert (only(tmp_path).defaults, only(tmp_path).rank) == ({"steps": 4}, 0)
    (root / "fmlx.json").write_text(json.dumps({"rank": "first"}))
    assert "a whole number" in only(tmp_path).skipped_because


def test_the_same_name_twice_is_served_once_and_said(tmp_path):
    diffusers(tmp_path / "a" / "wan")
    diffusers(tmp_path / "b" / "wan")
    first, second = scan([tmp_path / "a", tmp_path / "b"])
    assert first.type == "video"
    assert (second.type, second.skipped_because) == ("", "Another folder is served as wan already.")


def half_downloaded(root):
    (root / "transformer" / "x.safetensors.incomplete").touch()


def short(root):
    weights(root / "vae" / "model.safetensors", cut=4)


def missing_shard(root):
    index = {"weight_map": {"w": "model-00002-of-00002.safetensors"}}
    (root / "transformer_2" / "model.safetensors.index.json").write_text(json.dumps(index))


def missing_part(root):
    (root / "vae" / "model.safetensors").unlink()
    (root / "vae" / "config.json").unlink()
    (root / "vae").rmdir()


def classless(root):
    (root / "model_index.json").write_text("{}")


def broken(root):
    (root / "model_index.json").write_text("{")


def another_class(root):
    (root / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (half_downloaded, "still being downloaded"),
        (short, "shorter than its header says"),
        (missing_shard, "model-00002-of-00002.safetensors"),
        (missing_part, "vae is missing"),
        (classless, "names no pipeline class"),
        (broken, "cannot be read"),
        (another_class, "FluxPipeline pipelines are not served"),
    ],
)
def test_a_folder_that_cannot_be_served_says_why(tmp_path, damage, says):
    damage(diffusers(tmp_path / "wan"))
    found = only(tmp_path)
    assert found.type == ""
    assert says in found.skipped_because


@pytest.mark.django_db
def test_the_reason_is_read_in_the_readers_language(tmp_path):
    (chat(tmp_path / "half") / "model.safetensors").unlink()
    node = Node.objects.create(name="here", boot_id="1", pid=1)
    store(node.pk, scan([tmp_path]))
    site = Client()
    site.force_login(User.objects.create_superuser("admin", password="a long password"))
    shown = [
        site.get("/models/", headers={"Accept-Language": name}).content.decode() for name in ("en", "ru", "zh-hans")
    ]
    for words, page in zip(("There are no", "нет весов", "没有 safetensors"), shown, strict=True):
        assert words in page


def test_a_component_and_an_unknown_architecture_are_not_models(tmp_path):
    chat(tmp_path / "part", _class_name="AutoencoderKLWan")
    chat(tmp_path / "bert", architectures=["BertModel"])
    reasons = {found.name: found.skipped_because for found in scan([tmp_path])}
    assert "component" in reasons["part"]
    assert "BertModel" in reasons["bert"]


def texts(
    root, model_type="bert", architecture="BertModel", pooling=None, modules=("Transformer", "Pooling"), **config
):
    root.mkdir(parents=True)
    said = {"model_type": model_type, "architectures": [architecture], "hidden_size": 32, "num_hidden_layers": 1}
    (root / "config.json").write_text(json.dumps({**said, "max_position_embeddings": 514, **config}))
    weights(root / "model.safetensors")
    if pooling:
        listed = [{"type": f"sentence_transformers.models.{name}", "path": f"1_{name}"} for name in modules]
        (root / "modules.json").write_text(json.dumps(listed))
        (root / "1_Pooling").mkdir()
        (root / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{pooling}": True}))
    return root


@pytest.mark.parametrize(
    ("name", "made", "type_", "window"),
    [
        ("bge", {"pooling": "cls_token"}, "embedding", 514),
        ("e5", {"model_type": "xlm-roberta", "architecture": "XLMRobertaModel", "pad_token_id": 1}, "embedding", 512),
        ("Qwen3-Embedding", {"model_type": "qwen3", "architecture": "Qwen3ForCausalLM"}, "embedding", 514),
        ("Qwen3-Reranker", {"model_type": "qwen3", "architecture": "Qwen3ForCausalLM"}, "rerank", 514),
        ("Qwen3", {"model_type": "qwen3", "architecture": "Qwen3ForCausalLM"}, "chat", 514),
        ("minilm-ce", {"architecture": "BertForSequenceClassification", "id2label": {"0": "L"}}, "rerank", 514),
    ],
)
def test_models_for_texts_are_told_apart_from_chat(tmp_path, name, made, type_, window):
    texts(tmp_path / name, **made)
    found = only(tmp_path)
    assert (found.type, found.context_window, found.skipped_because) == (type_, window, "")


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ({"pooling": "weightedmean_tokens"}, "weightedmean_tokens"),
        ({"pooling": "mean_tokens", "modules": ("Transformer", "Pooling", "Dense")}, "Dense"),
        ({"pooling": "mean_tokens", "model_type": "nomic_bert"}, "nomic_bert"),
        ({"hidden_act": "relu"}, "relu"),
        ({"architecture": "BertForSequenceClassification", "id2label": {"0": "a", "1": "b"}}, "2 classes"),
        ({"architecture": "BertForTokenClassification"}, "no architecture that is served"),
    ],
)
def test_what_would_be_computed_wrongly_is_not_served(tmp_path, made, says):
    texts(tmp_path / "model", **made)
    found = only(tmp_path)
    assert not found.type
    assert says in found.skipped_because


def test_the_shorter_of_what_a_sentence_transformer_says_is_its_window(tmp_path):
    root = texts(tmp_path / "minilm", pooling="mean_tokens")
    (root / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 256}))
    (root / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 10**30}))
    assert only(tmp_path).context_window == 256
