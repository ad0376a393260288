using System.Text;
using Microsoft.Extensions.Configuration;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>Makes configurations.</summary>
internal static class ConfigurationOf
{
    /// <summary>A configuration of keys and values, as <c>Models:a:Path=x</c>.</summary>
    public static IConfigurationRoot Pairs(params IEnumerable<string> pairs) =>
        new ConfigurationBuilder().AddInMemoryCollection(pairs.Select(pair => pair.Split('=', 2)).Select(pair => KeyValuePair.Create(pair[0], (string?)pair[1]))).Build();

    /// <summary>A configuration of a JSON file.</summary>
    public static IConfigurationRoot Json(string json) => new ConfigurationBuilder().AddJsonStream(new MemoryStream(Encoding.UTF8.GetBytes(json))).Build();
}
