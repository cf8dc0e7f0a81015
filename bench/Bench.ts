/** What a benchmark is, and what it is told. One file per benchmark; `registry.ts` lists them. */

/** `unary`: clients make unary calls; `unary-alone`: nodes speak so too. */
export type Transport = "link" | "unary" | "unary-alone"
/** How links are kept, as in a group file. */
export type Links = "plaintext" | "authenticated" | "encrypted"

/** Plain data: it travels to every process of a run. */
export interface Settings {
  readonly bench: string
  readonly transport: Transport
  readonly links: Links
  readonly nodes: number
  /** Operations under way at once; in an open loop what is known of its start only. */
  readonly inflight: number
  /** Operations begun per second, whatever is still under way; `undefined`: a closed loop. */
  readonly ratePerSec: number | undefined
  readonly seconds: number
  readonly warmupSeconds: number
  readonly payloadBytes: number
}

/** A run with processes of its own: who listens where. */
export interface ClusterSettings extends Settings {
  /** `host:port` of node 1, 2, 3 … */
  readonly addresses: ReadonlyArray<string>
  /** An empty directory that goes away with the run. */
  readonly folder: string
}

/** One operation; `done` is called once, and never before this returns unless it failed. */
export type Operation = (done: (failed: boolean) => void) => void

export interface Client {
  readonly operation: Operation
  readonly close: () => Promise<void>
}

interface Common {
  /** One line for `--help`. */
  readonly about: string
  readonly transports: ReadonlyArray<Transport>
  /** Absent: plaintext. */
  readonly links?: ReadonlyArray<Links>
  readonly nodes: number
  readonly inflight: number
  readonly payloadBytes: number
}

/** Nodes and a client, each a process. */
export interface ClusterBench extends Common {
  readonly kind: "cluster"
  /** Before the nodes start, in the process that starts them. */
  readonly prepare?: (settings: ClusterSettings) => Promise<void>
  /** Serves as node 1, 2, 3 …; resolves once it takes calls. */
  readonly node: (settings: ClusterSettings, id: number) => Promise<void>
  /** Resolves once the first operation was answered. */
  readonly client: (settings: ClusterSettings) => Promise<Client>
}

/** A measurement without processes of its own. */
export interface LocalBench extends Common {
  readonly kind: "local"
  readonly run: (settings: Settings) => Promise<Measured>
}

export type Bench = ClusterBench | LocalBench

/** What a run found. */
export interface Measured {
  readonly operations: number
  readonly errors: number
  readonly elapsedUs: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
  /** CPU in the measured window, per process or per kind of process. */
  readonly cpuUs: { readonly client: number; readonly nodes: number }
  /** All processes together, at the end. */
  readonly rssBytes: number
  /** What only this benchmark knows. */
  readonly more?: { readonly [name: string]: number }
}
