/** The example's server and client, as processes over HTTP/2. */
import { assert, it } from "@effect/vitest"
import { CLIENT, groupFolder, SERVER, start } from "./rim/support/spawn.ts"

it("a client gets its text delivered while one of four nodes is away", async () => {
  const { folder } = await groupFolder()
  for (const id of ["1", "2", "4"]) start(SERVER, [id], folder)
  const { code, stdout } = await start(CLIENT, [], folder).ended
  assert.match(stdout, /INFO.*: hello$/m)
  assert.equal(code, 0)
})
