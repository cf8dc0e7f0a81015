/** Command-line options of the programs in this folder. */

/** What is wrong with the options, in one line. */
export type Usage = (what: string) => never

/** Ends with 2, which says that nothing was tried. */
export const usageOf =
  (program: string): Usage =>
  (what) => {
    process.stderr.write(`${program}: ${what}; --help lists the options\n`)
    return process.exit(2)
  }

/** What `read` gives; where it cannot read the options, Node's sentence about it. */
export const parsed = <V>(usage: Usage, read: () => { readonly values: V }): V => {
  try {
    return read().values
  } catch (error) {
    // Node's first sentence; where it only says "ambiguous", the last one says what to write.
    const sentences = (error as Error).message.split(/[.?]\s/)
    const [what] = sentences
    return usage(what!.endsWith("is ambiguous") ? `${what}. ${sentences.at(-1)}` : what!)
  }
}

export const naturalOf =
  (usage: Usage) =>
  (name: string, text: string, least: number, most: number): number => {
    const value = Number(text)
    if (/^[0-9]+$/.test(text) && value >= least && value <= most) return value
    return usage(`--${name} ${text} is no whole number from ${least} to ${most}`)
  }
