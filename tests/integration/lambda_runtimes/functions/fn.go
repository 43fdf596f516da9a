// The function of the cases, in Go; OWN_LOGGER has it set log's flags, as many programs do.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

type orderRefused struct{}

func (orderRefused) Error() string { return "order 7 refused" }

func handler(ctx context.Context, event map[string]string) (string, error) {
	fmt.Println("begun", event["case"])
	switch event["case"] {
	case "lookalike":
		fmt.Println("[ERROR] could not parse row 5, skipped")
		fmt.Println(`{"errorMessage":"only printed","errorType":"Lost"}`)
		fmt.Println("Task timed out after 30 s, trying again")
		told, _ := lambdacontext.FromContext(ctx)
		fmt.Printf("REPORT RequestId: %s\tDuration: 1.00 ms\tStatus: error\n", told.AwsRequestID)
	case "raise":
		return "", errors.New("no such table")
	case "own":
		return "", orderRefused{}
	case "exit":
		os.Exit(1)
	case "timeout":
		time.Sleep(600 * time.Second)
	}
	return "loaded", nil
}

func main() {
	if os.Getenv("OWN_LOGGER") != "" {
		log.SetFlags(log.Lshortfile)
	}
	if os.Getenv("CASE_AT_INIT") != "" {
		panic("cannot start: no table")
	}
	lambda.Start(handler)
}
