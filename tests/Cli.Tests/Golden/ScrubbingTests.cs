using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class ScrubbingTests
{
    [Theory]
    [InlineData("opened in 0.070 s, peak memory 50.5 MiB", "opened in {seconds} s, peak memory {peak}")]
    [InlineData("12.3 s, 0.01 GB/s read, 10.25 GB/s written, peak memory 1.00 GiB", "{seconds} s, {rate} GB/s read, {rate} GB/s written, peak memory {peak}")]
    [InlineData("a: 12 tensors, 8.09 KiB, 2 files, 0.0 s", "a: 12 tensors, 8.09 KiB, 2 files, {seconds} s")]
    [InlineData("  again 12    0.029  0.01  0.000", "  again 12    #.###  #.##  #.###")]
    [InlineData("  host: 1.30 MiB needed, 23.1 GiB free of 23.5 GiB: fits", "  host: 1.30 MiB needed, {free} free of {memory}: fits")]
    [InlineData("host: 4398046511104 bytes are needed and 24801198080 are free.", "host: 4398046511104 bytes are needed and {free} are free.")]
    [InlineData("\"bytes\":5,\"firstTouchSeconds\":1.5E-05,\"lanes\":2}", "\"bytes\":5,\"firstTouchSeconds\":{seconds},\"lanes\":2}")]
    public void Only_what_differs_from_run_to_run_is_replaced(string line, string expected)
    {
        using var folder = new TemporaryFolder();
        Assert.Equal($"{expected}\n  load everything 1.5", Scrubbing.Apply($"{line}\n  load everything 1.5", folder, new GoldenCase("a")));
    }

    [Fact]
    public void GPUs_are_left_out_of_the_list_of_devices()
    {
        using var folder = new TemporaryFolder();
        var devices = new GoldenCase("a") { Rules = Scrubbing.Devices };
        Assert.Equal(
            """
            device  name  memory  free
            host  {processor}  {memory}  {free}
            meta  shapes and dtypes without storage
            {whether ILGPU is compiled in}

            """,
            Scrubbing.Apply(
                """
                device    name                                 memory      free
                host      AMD EPYC, 2 logical cores          23.5 GiB  23.1 GiB
                cuda:0    NVIDIA H200                         139 GiB            this version loads into host memory only
                opencl:0  NVIDIA H200                         139 GiB            this version loads into host memory only
                meta      shapes and dtypes without storage
                ILGPU 1.5.3 is compiled in.

                """,
                folder,
                devices));
        Assert.Equal(
            """
            "ilgpu":{version or null},
                {"id":"host","kind":"host","name":"{processor}","totalMemory":{memory},"freeMemory":{free},"usable":true},
                {"id":"meta","kind":"meta","totalMemory":0}
            """,
            Scrubbing.Apply(
                """
                "ilgpu":"1.5.3",
                    {"id":"host","kind":"host","name":"a","totalMemory":5,"freeMemory":4,"usable":true},
                    {"id":"cuda:0","kind":"cuda","name":"b","totalMemory":5,"usable":false},
                    {"id":"meta","kind":"meta","totalMemory":0}
                """,
                folder,
                devices));
    }
}
