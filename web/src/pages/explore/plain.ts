// Label values as they are: characters that turn the direction of text would let one value look like another.

export function plainText(text: string): string {
  return text.replace(/[\u202a-\u202e\u2066-\u2069]/g, (mark) => '\\u' + mark.charCodeAt(0).toString(16));
}
