/** Nodes and clients of quorate in a run: a group file in the run's folder, layers built once. */
import { writeFileSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type Context, Effect, Exit, Layer, Scope } from "effect"
import type { CallFailed, FaultModel, Protocol } from "quorate"
import { NodeGroup } from "quorate/platform-node"
import { Replica } from "quorate/server"
import type { Client, ClusterSettings } from "./Bench.ts"

const keyFile = ({ folder }: ClusterSettings, id: number): string => join(folder, `node-${id}.pem`)
const groupFile = ({ folder }: ClusterSettings): string => join(folder, "group.json")

export const writeGroup = async (
  settings: ClusterSettings,
  { faults, durable }: { readonly faults: FaultModel; readonly durable: boolean }
): Promise<void> => {
  const { links } = settings
  const proven = links !== "plaintext"
  const nodes = settings.addresses.map((address, i) => {
    const { privateKey, publicKey } = NodeGroup.generateKey()
    if (proven) writeFileSync(keyFile(settings, i + 1), privateKey, { mode: 0o600 })
    return { id: i + 1, address, ...(proven && { key: publicKey }) }
  })
  // A group too small for a fault is measured too.
  const few = nodes.length < (faults === "crash" ? 3 : 4)
  const transport = settings.transport === "unary-alone" ? "unary" : "link"
  const shape = { group: settings.bench, faults, durable, links, transport, nodes }
  const group = { ...shape, ...(few && { f: 0 }) }
  await writeFile(groupFile(settings), JSON.stringify(group))
}

/** Runs a node until the process ends. */
export const serve = async <Self>(
  settings: ClusterSettings,
  id: number,
  protocol: Protocol<Self, never>,
  observed: Layer.Layer<never> = Layer.empty
): Promise<void> => {
  const dataFolder = join(settings.folder, `node-${id}`)
  const key = settings.links === "plaintext" ? {} : { key: keyFile(settings, id) }
  const options = { dataFolder, init: true, ...key }
  const member = NodeGroup.layerMember(groupFile(settings), id, options)
  const replica = Replica.layer(protocol).pipe(Layer.provide(member), Layer.provide(observed))
  await Effect.runPromise(Layer.buildWithScope(replica, Scope.makeUnsafe()))
}

/** A service as the generator prints it. */
interface ServiceKey<Self, C, R> extends Context.Service<Self, C> {
  readonly layer: Layer.Layer<Self, never, R>
}
type Provided = Layer.Success<ReturnType<typeof NodeGroup.layerFile>>

/** A client whose operation is the Effect that `call` makes, once per operation. */
export const connect = async <Self, C>(
  settings: ClusterSettings,
  service: ServiceKey<Self, C, Provided>,
  call: (client: C) => Effect.Effect<unknown, CallFailed>,
  observed: Layer.Layer<never> = Layer.empty
): Promise<Client> => {
  const scope = Scope.makeUnsafe()
  const { transport } = settings
  // Where nodes speak by unary calls, clients do so by themselves if they can.
  const options = transport === "unary-alone" ? {} : { transport }
  const group = NodeGroup.layerFile(groupFile(settings), options)
  const layer = service.layer.pipe(Layer.provide(group), Layer.provideMerge(observed))
  const context = await Effect.runPromise(Layer.buildWithScope(layer, scope))
  const client = await Effect.runPromise(Effect.provideContext(service, context))
  await Effect.runPromise(call(client))
  const run = Effect.runForkWith(context)
  return {
    operation: (done) => {
      run(call(client)).addObserver((exit) => done(Exit.isFailure(exit)))
    },
    close: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}
