const { atomicWrite } = require('@pipeline/atomic')

// A library that is not installed is asked for only when its codec is used.
require('@pipeline/atomic/yaml')
atomicWrite('required.txt', 'required').then(({ bytes }) => console.log('required', bytes))
