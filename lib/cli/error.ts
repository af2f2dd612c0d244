/** Something the caller can put right: one line, no stack. */
export class CliError extends Error {}

/** Runs `work` on words of the caller's; a TypeError then is about the words and becomes a {@link CliError}. */
export async function fromInput<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof TypeError) throw new CliError(error.message)
    throw error
  }
}
