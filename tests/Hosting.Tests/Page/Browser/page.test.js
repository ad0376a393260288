// The page as people see and use it, against a host that says what the case tells it to say, and once against a server as it is.

import { after, before } from 'node:test';
import { close, open } from './stage.js';

before(open);
after(close);

await import('./cases/server.js');
await import('./cases/live.js');
await import('./cases/tree.js');
await import('./cases/control.js');
await import('./cases/looks.js');
