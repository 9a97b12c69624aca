// A server in between that keeps a reply back.

import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Runs `body` with an address where the replies to writes of objects with this name are kept back until `goOn` is called. */
export async function withHolding<T>(
  endpoint: string,
  name: string,
  body: (holding: { endpoint: string; goOn(): void }) => Promise<T>,
): Promise<T> {
  let goOn = () => {}
  const released = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const server = createServer((from, to) => {
    const { method, headers, url = '' } = from
    const isHeld = method === 'PUT' && url.split('?')[0]?.endsWith(name)
    const on = request(new URL(endpoint).origin + url, { method, headers }, async (reply) => {
      if (isHeld) await released
      to.writeHead(reply.statusCode ?? 500, reply.headers)
      reply.pipe(to)
    })
    on.on('error', () => to.destroy())
    from.pipe(on)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  try {
    return await body({
      endpoint: `http://127.0.0.1:${port}${new URL(endpoint).pathname.replace(/\/$/, '')}`,
      goOn,
    })
  } finally {
    server.close()
    server.closeAllConnections()
  }
}
