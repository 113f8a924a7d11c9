"""Conversations that both kinds of templates have to render alike."""

from __future__ import annotations

Chat = list[dict[str, str]]


def said(*parts: str, system: str | None = None) -> Chat:
    """Return a chat of turns that alternate, the user first."""
    roles = ("user", "assistant")
    turns = [{"role": roles[i % 2], "content": part} for i, part in enumerate(parts)]
    return [{"role": "system", "content": system}, *turns] if system else turns


CHATS: dict[str, Chat] = {
    "one": said("Hva er Norges lengste elv?"),
    "system": said("Kva heiter du?", system="Svar på nynorsk."),
    "turns": said("Hei!", "Hei, hva vil du vite?", "Hvor langt er det til Bodø?"),
    "turns and system": said("Én", "To", "Tre", "Fire", "Fem", system="Vær kort.\n\nOg høflig."),
    "ended": said("Takk!", "Bare hyggelig."),
    "letters": said("Čálán «sitat» {{ .Prompt }} {% raw %} <|im_end|> \"anførsel\" 'en' \\n & <b>"),
    "lines": said("linje 1\nlinje 2\n\nlinje 4", "svar\npå flere\n\nlinjer", "takk"),
}


def go_data(chat: Chat) -> dict[str, object]:
    """Return what Ollama gives a template: messages, and the system messages joined.

    ollama/ollama, template/template.go: Execute and collate.
    """
    system = "\n\n".join(m["content"] for m in chat if m["role"] == "system")
    messages = [{"Role": m["role"], "Content": m["content"]} for m in chat]
    return {"System": system, "Messages": messages}
