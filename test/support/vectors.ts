import { readSource } from "./repo.ts"

/** Rows `| name | hexadecimal |` of one section of docs/PROTOCOL.md, by name. */
export const vectorsOf = (section: string): Readonly<Record<string, string>> => {
  const { text } = readSource("docs/PROTOCOL.md")
  const found = text.split(/^## /m).find((one) => one.startsWith(section))!
  return Object.fromEntries(
    [...found.matchAll(/^\| ([a-z0-9 ,']+) \| `([0-9a-f ]+)` \|$/gm)].map(([, name, value]) => [
      name!,
      value!.replaceAll(" ", "")
    ])
  )
}
