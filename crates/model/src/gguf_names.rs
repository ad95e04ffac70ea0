//! llama.cpp's names of tensors, as Hugging Face has them: everything behind the header knows those only.

/// (llama.cpp, XLM-RoBERTa, jina-reranker-v2's flash layout), without layers and endings.
const TABLE: &[(&str, &str, &str)] = &[
    ("token_embd", "roberta.embeddings.word_embeddings", "roberta.embeddings.word_embeddings"),
    ("position_embd", "roberta.embeddings.position_embeddings", "roberta.embeddings.position_embeddings"),
    ("token_types", "roberta.embeddings.token_type_embeddings", "roberta.embeddings.token_type_embeddings"),
    ("token_embd_norm", "roberta.embeddings.LayerNorm", "roberta.emb_ln"),
    ("cls", "classifier.dense", "classifier.dense"),
    ("cls.output", "classifier.out_proj", "classifier.out_proj"),
];
/// The same within a layer.
const LAYER_TABLE: &[(&str, &str, &str)] = &[
    ("attn_qkv", "attention.self.qkv", "mixer.Wqkv"),
    ("attn_q", "attention.self.query", "mixer.query"),
    ("attn_k", "attention.self.key", "mixer.key"),
    ("attn_v", "attention.self.value", "mixer.value"),
    ("attn_output", "attention.output.dense", "mixer.out_proj"),
    ("attn_output_norm", "attention.output.LayerNorm", "norm1"),
    ("ffn_up", "intermediate.dense", "mlp.fc1"),
    ("ffn_down", "output.dense", "mlp.fc2"),
    ("layer_output_norm", "output.LayerNorm", "norm2"),
];

/// True if query, key and value are one matrix, as in jina-reranker-v2.
pub(crate) fn is_fused<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    names.any(|name| name.contains(".attn_qkv."))
}

/// Name and shape in Hugging Face's layout, the flash one if `fused`; unknown names stay as they are.
///
/// llama.cpp's converter leaves out dimensions of 1: matrices of one row come back as such.
pub(crate) fn to_hugging_face(name: String, mut shape: Vec<usize>, fused: bool) -> (String, Vec<usize>) {
    let is_one_row = matches!(name.as_str(), "token_types.weight" | "cls.output.weight");
    if is_one_row && shape.len() == 1 {
        shape.insert(0, 1);
    }
    (renamed(&name, fused).unwrap_or(name), shape)
}

fn renamed(name: &str, fused: bool) -> Option<String> {
    let (stem, ending) = name.rsplit_once('.')?;
    let find = |table: &[(&str, &'static str, &'static str)], wanted: &str| {
        let found = table.iter().find(|(own, ..)| *own == wanted);
        found.map(|&(_, plain, flash)| if fused { flash } else { plain })
    };
    let Some((layer, part)) = stem.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) else {
        return Some(format!("{}.{ending}", find(TABLE, stem)?));
    };
    let list = if fused { "layers" } else { "layer" };
    Some(format!("roberta.encoder.{list}.{layer}.{}.{ending}", find(LAYER_TABLE, part)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_those_of_both_layouts() {
        let renamed = |name: &str, fused| to_hugging_face(name.to_owned(), vec![4, 4], fused).0;
        assert_eq!(
            renamed("blk.11.attn_q.weight", false),
            "roberta.encoder.layer.11.attention.self.query.weight"
        );
        assert_eq!(renamed("blk.0.attn_qkv.bias", true), "roberta.encoder.layers.0.mixer.Wqkv.bias");
        assert_eq!(renamed("blk.0.layer_output_norm.bias", true), "roberta.encoder.layers.0.norm2.bias");
        assert_eq!(renamed("token_embd_norm.weight", false), "roberta.embeddings.LayerNorm.weight");
        assert_eq!(renamed("cls.weight", false), "classifier.dense.weight");
        assert_eq!(renamed("cls.output.bias", true), "classifier.out_proj.bias");
        for unknown in ["rope_freqs.weight", "blk.0.ffn_gate.weight", "blk.0", "", "."] {
            assert_eq!(renamed(unknown, false), unknown);
        }
    }

    #[test]
    fn matrices_of_one_row_are_matrices() {
        let shape = |name: &str| to_hugging_face(name.to_owned(), vec![8], false).1;
        assert_eq!(shape("cls.output.weight"), [1, 8]);
        assert_eq!(shape("token_types.weight"), [1, 8]);
        assert_eq!(shape("cls.output.bias"), [8]);
    }
}
