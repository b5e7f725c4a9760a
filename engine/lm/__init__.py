"""Small language models from scratch: a BPE tokenizer and a GPT-2-architecture network, saved as a Hugging Face folder."""
