"""Questions to language models that others run or that lie here: chats in, answers out, each asked and paid for once.

`chat` has requests and answers, `http_server` speaks to any OpenAI-style server, `local_model` runs a model through
transformers, `answer_cache` keeps answers on disk, `account` counts tokens and money, and `question_queue` asks many
questions at a time. Answers are untrusted: bounded when they are read, and checked by those who asked.
"""
