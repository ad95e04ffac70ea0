//! llama.cpp's names of tensors, as Hugging Face has them: everything behind the header knows those only.

use crate::Layout;
use crate::layout::Part;

/// The layout that tensors of these names become: jina-reranker-v2's if query, key and value are one matrix.
pub(crate) fn layout_of<'a>(mut names: impl Iterator<Item = &'a str>) -> Layout {
    if names.any(|name| name.contains(".attn_qkv.")) { Layout::Flash } else { Layout::XlmRoberta }
}

/// Name and shape in Hugging Face's `layout`; unknown names stay as they are.
///
/// llama.cpp's converter leaves out dimensions of 1: matrices of one row come back as such.
pub(crate) fn to_hugging_face(name: String, mut shape: Vec<usize>, layout: Layout) -> (String, Vec<usize>) {
    let is_one_row = matches!(name.as_str(), "token_types.weight" | "cls.output.weight");
    if is_one_row && shape.len() == 1 {
        shape.insert(0, 1);
    }
    (renamed(&name, layout).unwrap_or(name), shape)
}

fn renamed(name: &str, layout: Layout) -> Option<String> {
    let (stem, ending) = name.rsplit_once('.')?;
    let stem = match stem {
        "token_embd" if ending == "weight" => return Some(layout.embedding("word")),
        "position_embd" if ending == "weight" => return Some(layout.embedding("position")),
        "token_types" if ending == "weight" => return Some(layout.embedding("token_type")),
        "token_embd_norm" => layout.embedding_norm(),
        "cls" => layout.head()[0].to_owned(),
        "cls.output" => layout.head()[1].to_owned(),
        _ => in_layer(stem, layout)?,
    };
    Some(format!("{stem}.{ending}"))
}

/// The name of `blk.N.part`.
fn in_layer(stem: &str, layout: Layout) -> Option<String> {
    let (layer, part) = stem.strip_prefix("blk.")?.split_once('.')?;
    let layer = layer.parse().ok()?;
    let projection = |index| layout.query_key_value(layer).into_iter().nth(index);
    match part {
        "attn_qkv" if layout == Layout::Flash => projection(0),
        "attn_q" if layout != Layout::Flash => projection(0),
        "attn_k" => projection(1),
        "attn_v" => projection(2),
        "attn_output" => Some(layout.part(layer, Part::AttentionOutput)),
        "attn_output_norm" => Some(layout.part(layer, Part::AttentionNorm)),
        "ffn_up" => Some(layout.part(layer, Part::Intermediate)),
        "ffn_down" => Some(layout.part(layer, Part::Output)),
        "layer_output_norm" => Some(layout.part(layer, Part::OutputNorm)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_those_of_both_layouts() {
        let (plain, fused) = (Layout::XlmRoberta, Layout::Flash);
        let renamed = |name: &str, layout| to_hugging_face(name.to_owned(), vec![4, 4], layout).0;
        assert_eq!(
            renamed("blk.11.attn_q.weight", plain),
            "roberta.encoder.layer.11.attention.self.query.weight"
        );
        assert_eq!(renamed("blk.0.attn_qkv.bias", fused), "roberta.encoder.layers.0.mixer.Wqkv.bias");
        assert_eq!(renamed("blk.0.layer_output_norm.bias", fused), "roberta.encoder.layers.0.norm2.bias");
        assert_eq!(renamed("token_embd.weight", fused), "roberta.embeddings.word_embeddings.weight");
        assert_eq!(renamed("token_embd_norm.weight", plain), "roberta.embeddings.LayerNorm.weight");
        assert_eq!(renamed("cls.weight", plain), "classifier.dense.weight");
        assert_eq!(renamed("cls.output.bias", fused), "classifier.out_proj.bias");
        for unknown in ["rope_freqs.weight", "blk.0.ffn_gate.weight", "blk.0", "", "."] {
            assert_eq!(renamed(unknown, plain), unknown);
        }
    }

    #[test]
    fn matrices_of_one_row_are_matrices() {
        let shape = |name: &str| to_hugging_face(name.to_owned(), vec![8], Layout::XlmRoberta).1;
        assert_eq!(shape("cls.output.weight"), [1, 8]);
        assert_eq!(shape("token_types.weight"), [1, 8]);
        assert_eq!(shape("cls.output.bias"), [8]);
    }
}
