using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Microsoft.Extensions.Options;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class ErrorReportTests
{
    [Fact]
    public void Every_kind_of_failure_has_its_exit_code_and_name()
    {
        foreach (var (exception, exitCode, code) in new (Exception, int, string)[]
        {
            (new InvalidOperationException("x"), 1, "Unexpected"),
            (new UsageException("x"), 2, "Usage"),
            (new FileNotFoundException("x"), 3, "Unreadable"),
            (new IOException("x"), 3, "Unreadable"),
            (new UnauthorizedAccessException("x"), 3, "Unreadable"),
            (new InvalidCheckpointException(CheckpointErrorCode.TrailingBytes, "f", "x"), 4, "TrailingBytes"),
            (new CheckpointLimitException("header", 2m, 1, "--limit", "f"), 4, "LimitExceeded"),
            (new UnsupportedCheckpointException("GGUF", "f", "x"), 5, "Unsupported"),
            (new TensorNotFoundException("t", "f", ["u"]), 5, "TensorNotFound"),
            (new DeviceMemoryException("host", 2, 1, "x"), 7, "DeviceMemory"),
            (new InsufficientMemoryException("x"), 7, "DeviceMemory"),
            (new DeviceUnavailableException("cuda:0", "x"), 7, "DeviceUnavailable"),
            (new DeviceFailureException("cuda:0", "x"), 7, "DeviceFailure"),
            (new OptionsValidationException("x", typeof(object), ["a: b", "c: d"]), 2, "Configuration"),
            (new TaskCanceledException("x"), 130, "Cancelled"),
        })
        {
            using var output = new StringWriter { NewLine = "\n" };
            using var error = new StringWriter { NewLine = "\n" };
            var written = ErrorReport.Write(new CommandConsole(output, error, false) { Json = true }, exception);
            var run = new ToolRun(written, output.ToString(), error.ToString());
            run.ErrorDocument(code, exitCode);
        }
    }

    [Fact]
    public void What_nobody_expected_says_its_type()
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        Assert.Equal(1, ErrorReport.Write(new CommandConsole(output, error, false), new InvalidOperationException("no\u001b[31m")));
        Assert.Equal("unexpected error: InvalidOperationException: no\\u001b[31m\n", error.ToString());
        Assert.Equal("", output.ToString());
    }
}
