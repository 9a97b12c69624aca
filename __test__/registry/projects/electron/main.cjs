// Run by Electron, as an app or as Node.js: loads what it is told to, and writes a file with it. No syntax that an old one lacks, and the
// symbols that the addon asks for: an Electron that is too old for the package tells of the addon, too.

for (const name of ['dispose', 'asyncDispose']) {
  if (!Symbol[name]) Object.defineProperty(Symbol, name, { value: Symbol(`Symbol.${name}`) })
}

const { LOADED, FILE } = process.env

async function write() {
  const { atomicIndexUpdate, atomicWrite, readIndexSync } = require(LOADED)
  const { bytes } = await atomicWrite(`${FILE}.txt`, Buffer.alloc(1e6))
  await atomicIndexUpdate(`${FILE}.json`, () => ({ n: 1 }))
  return `${bytes} ${readIndexSync(`${FILE}.json`).value.n}`
}

write()
  .catch((error) => error.stack)
  .then((said) => {
    console.log(said)
    if (process.type === 'browser') require('electron').app.exit()
  })
