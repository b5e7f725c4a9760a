"""Small language models from scratch: a BPE tokenizer and a GPT-2-architecture network in a Hugging Face folder."""
