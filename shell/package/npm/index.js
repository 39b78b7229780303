'use strict';

const { join } = require('node:path');

exports.path = join(__dirname, 'portal');
exports.sql = join(__dirname, 'sql');

exports.load = (db) => {
    db.loadExtension(exports.path);
    return db;
};
