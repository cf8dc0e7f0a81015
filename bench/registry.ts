/** The benchmarks by name. Each is loaded when it runs: its imports must not weigh on others. */
import type { Bench } from "./Bench.ts"

const loaders: { readonly [name: string]: () => Promise<Bench> } = {
  unary: async () => (await import("./unary.ts")).unary,
  "quorum-call": async () => (await import("./quorumCall.ts")).quorumCall,
  "all-to-all": async () => (await import("./allToAll.ts")).allToAll,
  paxos: async () => (await import("./paxos.ts")).paxos,
  link: async () => (await import("./link.ts")).link,
  raw: async () => (await import("./raw.ts")).raw,
  engine: async () => (await import("./engine.ts")).engine,
  proofs: async () => (await import("./proofs.ts")).proofs,
  observe: async () => (await import("./observe.ts")).observe
}

export const NAMES: ReadonlyArray<string> = Object.keys(loaders)

export const loadBench = async (name: string): Promise<Bench> => {
  const load = loaders[name]
  if (load === undefined) throw new Error(`no benchmark is called "${name}"`)
  return load()
}
