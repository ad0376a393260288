using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>peers.py: PyTorch in a process of its own, one for all rounds, so that its start is not what is compared.</summary>
internal sealed class PythonPeer : IDisposable
{
    private readonly Process _process;

    private PythonPeer(Process process, JsonNode facts)
    {
        _process = process;
        Facts = facts;
    }

    /// <summary>Versions, as the script reported them.</summary>
    public JsonNode Facts { get; }

    /// <summary>Starts it.</summary>
    /// <returns>The peer, or why there is none.</returns>
    public static (PythonPeer? Peer, string? Missing) Start(BenchOptions options)
    {
        if (options.PeersScript is null || options.Python == "none")
        {
            return (null, "no peers.py, or no Python, was given");
        }

        // Of PyTorch's devices it is compared with the same kind.
        var device = options.Device.StartsWith("cuda", StringComparison.Ordinal) ? options.Device : "cpu";
        Process process;
        try
        {
            process = Process.Start(new ProcessStartInfo(options.Python, [options.PeersScript, device])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                UseShellExecute = false,
            })!;
        }
        catch (Win32Exception exception)
        {
            return (null, $"{options.Python}: {exception.Message}");
        }

        var peer = new PythonPeer(process, Read(process));
        if (peer.Facts["error"] is not { } error)
        {
            return (peer, null);
        }

        peer.Dispose();
        return (null, error.GetValue<string>());
    }

    /// <summary>The seconds of one load of files, one after the other, as <c>safetensors.torch.load_file</c> does it.</summary>
    /// <exception cref="InvalidOperationException">It failed; the message says how.</exception>
    public double Load(IEnumerable<string> files, bool toF32)
    {
        var request = new JsonObject { ["do"] = "load", ["files"] = new JsonArray([.. files.Select(file => JsonValue.Create(file))]), ["f32"] = toF32 };
        return Ask(request);
    }

    /// <summary>The seconds of uploading from PyTorch's own page-locked memory.</summary>
    /// <inheritdoc cref="Load" path="/exception"/>
    public double Upload(long bytes) => Ask(new JsonObject { ["do"] = "upload", ["bytes"] = bytes });

    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(TimeSpan.FromSeconds(30)))
        {
            _process.Kill();
            _process.WaitForExit();
        }

        _process.Dispose();
    }

    private double Ask(JsonObject request)
    {
        _process.StandardInput.WriteLine(request.ToJsonString());
        _process.StandardInput.Flush();
        var answer = Read(_process);
        return answer["seconds"]?.GetValue<double>() ?? throw new InvalidOperationException(answer["error"]!.GetValue<string>());
    }

    private static JsonNode Read(Process process)
    {
        var line = process.StandardOutput.ReadLine();
        try
        {
            return line is null ? new JsonObject { ["error"] = "Python ended; above it says why" } : JsonNode.Parse(line)!;
        }
        catch (JsonException)
        {
            return new JsonObject { ["error"] = $"Python wrote '{line}'" };
        }
    }
}
