using System.Globalization;
using System.Text.Json;

namespace IlgpuLoader.Harness;

/// <summary>The traffic as a process of its own, so that its memory and its collections are not the service's, nor the measuring program's.</summary>
internal static class TrafficChild
{
    /// <summary>What its command line begins with; the service, the model and the number of connections follow.</summary>
    public const string Argument = "--child-traffic";

    /// <summary>It has opened its connections.</summary>
    public const string Open = "open";

    /// <summary>Asks it to begin.</summary>
    public const string Go = "go";

    /// <summary>Asks it to pause, and to tell what became of the requests.</summary>
    public const string Pause = "pause";

    /// <summary>Asks as its standard input says, until that ends.</summary>
    public static async Task RunAsync(string[] arguments)
    {
        await using var traffic = new Traffic(
            new Uri(arguments[0]), Traffic.PathsOf(arguments[1]), int.Parse(arguments[2], CultureInfo.InvariantCulture), TimeSpan.FromSeconds(1));
        await traffic.OpenAsync();
        Console.WriteLine(Open);
        while (await Console.In.ReadLineAsync() is { } line)
        {
            if (line == Go)
            {
                traffic.Start();
            }
            else if (line == Pause)
            {
                Console.WriteLine(JsonSerializer.Serialize(await traffic.StopAsync()));
            }
        }
    }
}
