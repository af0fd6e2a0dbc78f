exports.tell = (method) => console.log(`child of ${method}`);
