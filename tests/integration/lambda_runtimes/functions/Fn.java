import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import java.util.Map;

/** The function of the cases, in Java. */
public class Fn implements RequestHandler<Map<String, String>, String> {
    public static class OrderRefused extends RuntimeException {
        OrderRefused(String message) { super(message); }
    }

    public Fn() {
        if (System.getenv("CASE_AT_INIT") != null) {
            throw new IllegalStateException("cannot start: no table");
        }
    }

    @Override
    public String handleRequest(Map<String, String> event, Context context) {
        String name = event.get("case");
        System.out.println("begun " + name);
        switch (name) {
            case "lookalike" -> {
                context.getLogger().log("could not parse row 5, skipped", LogLevel.ERROR);
                System.out.println("java.lang.IllegalStateException: only printed");
                System.out.println("Task timed out after 30 s, trying again");
                System.out.println("REPORT RequestId: " + context.getAwsRequestId()
                    + "\tDuration: 1.00 ms\tStatus: error");
            }
            case "raise" -> throw new IllegalArgumentException("no such table");
            case "own" -> throw new OrderRefused("order 7 refused");
            case "exit" -> System.exit(1);
            case "timeout" -> pause();
            default -> { }
        }
        return "loaded";
    }

    private static void pause() {
        try {
            Thread.sleep(600_000);
        } catch (InterruptedException gone) {
            Thread.currentThread().interrupt();
        }
    }
}
