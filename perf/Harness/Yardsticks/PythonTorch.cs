using System.Diagnostics;
using System.Globalization;

namespace IlgpuLoader.Harness;

/// <summary><c>torch.load</c> of a Python that has torch: the reader that people have now.</summary>
internal sealed class PythonTorch : IDisposable
{
    private const string Python = "/usr/bin/python3";

    // One process for all rounds: its start and the import of torch, which take seconds, are not what is compared. What was
    // loaded is freed before the next, as ours is.
    private const string Program =
        """
        import sys, time
        try:
            import torch
        except ImportError:
            sys.exit(1)
        print("ready", flush=True)
        for line in sys.stdin:
            started = time.perf_counter()
            loaded = torch.load(line.rstrip("\n"), map_location="cpu", weights_only=True)
            seconds = time.perf_counter() - started
            del loaded
            print(repr(seconds), flush=True)
        """;

    private readonly Process _process;

    private PythonTorch(Process process) => _process = process;

    /// <summary>Starts Python, where it is installed with torch; null elsewhere.</summary>
    public static PythonTorch? Start()
    {
        if (!File.Exists(Python))
        {
            return null;
        }

        var process = Process.Start(new ProcessStartInfo(Python, ["-c", Program])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            UseShellExecute = false,
        })!;
        if (process.StandardOutput.ReadLine() == "ready")
        {
            return new PythonTorch(process);
        }

        process.WaitForExit();
        process.Dispose();
        return null;
    }

    /// <summary>The seconds of one load.</summary>
    public double Load(string path)
    {
        _process.StandardInput.WriteLine(path);
        _process.StandardInput.Flush();
        return double.Parse(
            _process.StandardOutput.ReadLine() ?? throw new InvalidOperationException("torch.load failed; Python says above why."),
            CultureInfo.InvariantCulture);
    }

    /// <summary>Ends Python.</summary>
    public void Dispose()
    {
        _process.StandardInput.Close();
        _process.WaitForExit();
        _process.Dispose();
    }
}
