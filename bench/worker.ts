/** One process of a run: a node, or the client with its load. `cluster.ts` starts and leads it. */
import { setTimeout as sleep } from "node:timers/promises"
import type { ClusterBench, ClusterSettings } from "./Bench.ts"
import { Load } from "./load.ts"
import { loadBench } from "./registry.ts"
import { type Usage, usageNow } from "./usage.ts"

export type ToWorker =
  /** `id` 0: the client. */
  | { readonly kind: "begin"; readonly id: number; readonly settings: ClusterSettings }
  | { readonly kind: "usage" }
  /** To the client: measure now. */
  | { readonly kind: "measure" }
  | { readonly kind: "stop" }

export type FromWorker =
  /** A node serves; the client is warm. */
  | { readonly kind: "ready" }
  | ({ readonly kind: "usage" } & Usage)
  | ({ readonly kind: "measured" } & ReturnType<Load["measured"]>)
  | { readonly kind: "failed"; readonly why: string }

const tell = (message: FromWorker): void => {
  process.send?.(message)
}
const fail = (thrown: unknown): void => {
  tell({ kind: "failed", why: thrown instanceof Error ? `${thrown.stack}` : String(thrown) })
}

let load: Load | undefined
let settings: ClusterSettings | undefined
let close = async (): Promise<void> => {}

const begin = async (id: number, given: ClusterSettings): Promise<void> => {
  settings = given
  const bench = (await loadBench(given.bench)) as ClusterBench
  if (id > 0) {
    await bench.node(given, id)
  } else {
    const client = await bench.client(given)
    close = client.close
    load = new Load(given, client.operation)
    load.start()
    await sleep(given.warmupSeconds * 1000)
  }
  tell({ kind: "ready" })
}

const measure = async (): Promise<void> => {
  load!.measure()
  await sleep(settings!.seconds * 1000)
  await load!.some()
  tell({ kind: "measured", ...load!.measured() })
}

const stop = async (): Promise<void> => {
  await load?.stop()
  await close()
  // Leaves whatever is still open; `--profile` needs an orderly exit to write its file.
  process.exit(0)
}

process.on("message", (message: ToWorker) => {
  switch (message.kind) {
    case "begin":
      begin(message.id, message.settings).catch(fail)
      return
    case "usage":
      tell({ kind: "usage", ...usageNow() })
      return
    case "measure":
      measure().catch(fail)
      return
    case "stop":
      stop().catch(fail)
  }
})
process.on("disconnect", () => process.exit(1))
process.on("uncaughtException", fail)
process.on("unhandledRejection", fail)
// Ctrl-C reaches every process of the terminal: the one that started this one sees to the end.
process.on("SIGINT", () => {})
