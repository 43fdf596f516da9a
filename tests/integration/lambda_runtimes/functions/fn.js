// The function of the cases, in Node.
if (process.env.CASE_AT_INIT) throw new Error("cannot start: no table");

class OrderRefused extends Error {}

exports.handler = async (event, context) => {
  console.log("begun " + event.case);
  if (event.case === "lookalike") {
    console.log("[ERROR] could not parse row 5, skipped");
    console.error("Invoke Error", '{"errorType":"Lost","errorMessage":"only printed"}');
    console.log("Task timed out after 30 s, trying again");
    console.log(`REPORT RequestId: ${context.awsRequestId}\tDuration: 1.00 ms\tStatus: error`);
  } else if (event.case === "raise") throw new TypeError("no such table");
  else if (event.case === "own") throw new OrderRefused("order 7 refused");
  else if (event.case === "exit") process.exit(1);
  else if (event.case === "timeout") await new Promise((done) => setTimeout(done, 600000));
  return { loaded: 5 };
};
