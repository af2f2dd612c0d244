/** A command line that cannot be carried out; its message says what would be right. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
