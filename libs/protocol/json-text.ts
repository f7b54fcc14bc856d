const written = new WeakMap<object, string>();

/** Remembers the JSON of a message, which had to be written already to know its size. The message is not to be changed any more. */
export function withJson<Message extends object>(message: Message, json: string): Message {
  written.set(message, json);
  return message;
}

/** A message as JSON. */
export const jsonOf = (message: unknown): string =>
  (typeof message === 'object' && message !== null && written.get(message)) || JSON.stringify(message);
