"""A catalog with every kind of model that an endpoint may name."""
from . import documents, places

SMOL, MINILM = "system.ai.smollm2_135m_instruct", "system.ai.all_minilm_l6_v2"
MISTRAL, MIXTRAL = "system.ai.mistral_7b_instruct_v0_1", "system.ai.mixtral_8x7b_instruct_v0_1"
EMBEDDER, SCORER, PLAIN = "system.ai.gte-large-en", "prod.fraud.scorer", "system.ai.pay_per_token"
ON_SERVERS = (MISTRAL, MIXTRAL, EMBEDDER, PLAIN)
CHUNK = {SMOL: 100, MISTRAL: 970, MIXTRAL: 620}


def catalog(server):
    """`server` stands in for the vLLM-compatible engines and the scoring server."""
    engine = {"engine": {"url": server}}
    return [
        {"name": SMOL, "version": "1", "task": documents.CHAT, "source": str(places.chat_model()), "model_type": "llama",
         "throughput_chunk_size": CHUNK[SMOL]},
        {"name": MINILM, "version": "1", "task": documents.EMBEDDINGS, "source": str(places.embedding_model())},
        {"name": MISTRAL, "version": "2", "task": documents.CHAT, "model_type": "mistral",
         "throughput_chunk_size": CHUNK[MISTRAL], **engine},
        {"name": MIXTRAL, "version": "3", "task": documents.CHAT, "model_type": "mixtral",
         "throughput_chunk_size": CHUNK[MIXTRAL], **engine},
        {"name": EMBEDDER, "version": "1", "task": documents.EMBEDDINGS, "throughput_chunk_size": 500, **engine},
        {"name": PLAIN, "version": "1", "task": documents.CHAT, **engine},
        {"name": SCORER, "version": "7", "server": {"url": server}},
    ]


def provisioned(model, version, chunks=(1, 2), name=None, **more):
    """A served entity with a throughput of so many chunks, from and to."""
    least, most = (CHUNK.get(model, 1) * count for count in chunks)
    entity = {"entity_name": model, "entity_version": version, "min_provisioned_throughput": least,
              "max_provisioned_throughput": most, **more}
    return {"name": name, **entity} if name else entity


def custom(name=None, **more):
    """A served entity of the scoring server."""
    entity = {"entity_name": SCORER, "entity_version": "7", "workload_size": "Small", "scale_to_zero_enabled": False, **more}
    return {"name": name, **entity} if name else entity
