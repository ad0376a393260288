using System.Globalization;
using System.IO.Enumeration;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>Pages of the tensors that a test has named: <c>tensors: { "llama": [ { name, dtype, shape, bytes } ] }</c>.</summary>
internal static class ScriptedTensors
{
    /// <summary>The page that a request asks for, as the contract has it; null where its limit is above the script's <c>largestPage</c>.</summary>
    public static JsonObject? Page(JsonObject script, HttpRequest request)
    {
        var model = (string)request.RouteValues["name"]!;
        var offset = Number(request, "offset", 0);
        var limit = Number(request, "limit", 100);
        if (limit > ((int?)script["largestPage"] ?? 1000))
        {
            return null;
        }

        var filter = request.Query["filter"].ToString();
        var all = script["tensors"]?[model]?.AsArray() ?? [];
        var matched = all.Where(tensor => Matches(filter, (string)tensor!["name"]!)).ToList();
        var version = script["document"]!["models"]!.AsArray().First(described => (string?)described!["name"] == model)!["version"]!;
        return new JsonObject
        {
            ["schema"] = "ilgpu-loader/tensors/1",
            ["model"] = model,
            ["version"] = version.DeepClone(),
            ["total"] = all.Count,
            ["matched"] = matched.Count,
            ["offset"] = offset,
            ["limit"] = limit,
            ["tensors"] = new JsonArray([.. matched.Skip(offset).Take(limit).Select(tensor => tensor!.DeepClone())]),
        };
    }

    private static int Number(HttpRequest request, string name, int otherwise) =>
        request.Query.TryGetValue(name, out var values) ? int.Parse(values.ToString(), CultureInfo.InvariantCulture) : otherwise;

    private static bool Matches(string filter, string name) => filter.AsSpan().ContainsAny('*', '?')
        ? FileSystemName.MatchesSimpleExpression(filter, name, ignoreCase: true)
        : name.Contains(filter, StringComparison.OrdinalIgnoreCase);
}
