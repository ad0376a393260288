using System.Text.Json;
using Xunit;

namespace IlgpuLoader.Hosting.Tests.Http;

public sealed class TensorEndpointTests
{
    private const string Path = "/api/models/llama/tensors";

    [Fact]
    public async Task Page_has_names_dtypes_shapes_and_sizes()
    {
        await using var server = await StartAsync(["first", "second <b>"]);
        server.Store["llama"].Become(status => status with { Version = 3 });
        var document = await server.GetAsync(Path);
        Assert.Equal(
            """{"schema":"ilgpu-loader/tensors/1","model":"llama","version":3,"total":2,"matched":2,"offset":0,"limit":100,"tensors":[{"name":"first","dtype":"BF16","shape":[0,2],"bytes":0},""" + """{"name":"second \u003Cb\u003E","dtype":"BF16","shape":[1,2],"bytes":4}]}""",
            document.GetRawText());
    }

    [Theory]
    [InlineData("", 0, 100)]
    [InlineData("?offset=0&limit=1", 0, 1)]
    [InlineData("?offset=240", 240, 10)]
    [InlineData("?offset=250", 250, 0)]
    [InlineData("?offset=2147483647&limit=1000", 250, 0)]
    [InlineData("?limit=1000", 0, 250)]
    [InlineData("?limit=7&offset=100", 100, 7)]
    public async Task Pages_are_parts_of_the_whole(string query, int first, int count)
    {
        await using var server = await StartAsync(Enumerable.Range(0, 250).Select(i => $"t{i}"));
        var document = await server.GetAsync(Path + query);
        Assert.Equal(Enumerable.Range(first, count).Select(i => $"t{i}"), Names(document));
        Assert.Equal((250, 250), (document.GetProperty("total").GetInt32(), document.GetProperty("matched").GetInt32()));
    }

    [Theory]
    [InlineData("norm", "model.layers.0.NORM.weight model.layers.1.norm.weight norm")]
    [InlineData("LAYERS.1", "model.layers.1.norm.weight model.layers.10.q.weight")]
    [InlineData("norm*", "norm")]
    [InlineData("*norm*", "model.layers.0.NORM.weight model.layers.1.norm.weight norm")]
    [InlineData("model.layers.?.*", "model.layers.0.NORM.weight model.layers.1.norm.weight")]
    [InlineData("nor?", "norm")]
    [InlineData("?", "")]
    [InlineData("none", "")]
    [InlineData("", "model.layers.0.NORM.weight model.layers.1.norm.weight model.layers.10.q.weight norm")]
    public async Task Filter_is_a_text_or_a_pattern_in_any_case(string filter, string expected)
    {
        await using var server = await StartAsync(["model.layers.0.NORM.weight", "model.layers.1.norm.weight", "model.layers.10.q.weight", "norm"]);
        var document = await server.GetAsync($"{Path}?filter={Uri.EscapeDataString(filter)}");
        Assert.Equal(expected.Split(' ', StringSplitOptions.RemoveEmptyEntries), Names(document));
        Assert.Equal(Names(document).Length, document.GetProperty("matched").GetInt32());
        Assert.Equal(4, document.GetProperty("total").GetInt32());
    }

    [Fact]
    public async Task Filter_is_applied_before_the_page()
    {
        await using var server = await StartAsync(Enumerable.Range(0, 100).Select(i => $"t{i}"));
        var document = await server.GetAsync($"{Path}?filter=9&offset=1&limit=3");
        Assert.Equal(["t19", "t29", "t39"], Names(document));
        Assert.Equal(19, document.GetProperty("matched").GetInt32());
    }

    [Theory]
    [InlineData("limit=0", "limit is '0', and has to be one whole number from 1 to 50.")]
    [InlineData("limit=51", "limit is '51', and has to be one whole number from 1 to 50.")]
    [InlineData("limit=-1", "limit is '-1', and has to be one whole number from 1 to 50.")]
    [InlineData("limit=ten", "limit is 'ten', and has to be one whole number from 1 to 50.")]
    [InlineData("limit=", "limit is '', and has to be one whole number from 1 to 50.")]
    [InlineData("limit=1&limit=2", "limit is '1,2', and has to be one whole number from 1 to 50.")]
    [InlineData("offset=-1", "offset is '-1', and has to be one whole number from 0 to 2147483647.")]
    [InlineData("offset=99999999999", "offset is '99999999999', and has to be one whole number from 0 to 2147483647.")]
    [InlineData("offset=1.5", "offset is '1.5', and has to be one whole number from 0 to 2147483647.")]
    [InlineData("filter=a&filter=b", "filter is 'a,b', and has to be one text of at most 256 characters.")]
    public async Task Wrong_value_is_a_problem_that_names_it(string query, string detail)
    {
        await using var server = await StartAsync(["t"], "Http__MaximumPageSize=50");
        Assert.Equal(detail, await RunningServer.ProblemAsync(server.SendAsync(HttpMethod.Get, $"{Path}?{query}"), 400, "InvalidQuery"));
    }

    [Fact]
    public async Task Filter_of_the_greatest_length_is_taken_and_a_longer_one_is_not()
    {
        await using var server = await StartAsync(["t"]);
        Assert.Empty(Names(await server.GetAsync($"{Path}?filter={new string('*', 255)}b")));
        var detail = await RunningServer.ProblemAsync(server.SendAsync(HttpMethod.Get, $"{Path}?filter={new string('*', 257)}"), 400, "InvalidQuery");
        Assert.EndsWith("at most 256 characters.", detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Page_ends_early_where_names_are_long_and_goes_on_behind_it()
    {
        // Six bytes a character in JSON.
        var names = Enumerable.Range(0, 20).Select(i => $"{i}{new string('<', 30_000)}").ToArray();
        await using var server = await StartAsync(names);
        var read = new List<string>();
        while (read.Count < names.Length)
        {
            using var response = await server.SendAsync(HttpMethod.Get, $"{Path}?limit=1000&offset={read.Count}");
            Assert.InRange(response.Content.Headers.ContentLength!.Value, 1, (1 << 20) + 1000);
            var document = await RunningServer.ReadAsync(response);
            Assert.Equal((20, 20, 1000), (document.GetProperty("total").GetInt32(), document.GetProperty("matched").GetInt32(), document.GetProperty("limit").GetInt32()));
            Assert.Equal(Math.Min(5, names.Length - read.Count), Names(document).Length);
            read.AddRange(Names(document));
        }

        Assert.Equal(names, read);
    }

    [Fact]
    public async Task Page_has_a_tensor_however_long_its_name_is()
    {
        await using var server = await StartAsync([new string('x', 2_000_000), "y"]);
        Assert.Equal(2_000_000, Assert.Single(Names(await server.GetAsync(Path))).Length);
        Assert.Equal(["y"], Names(await server.GetAsync($"{Path}?offset=1")));
    }

    private static Task<RunningServer> StartAsync(IEnumerable<string> tensors, params string[] variables)
    {
        var store = new StandInStore("llama");
        store["llama"].Have(tensors);
        return RunningServer.StartAsync(store, variables);
    }

    private static string[] Names(JsonElement document) => [.. document.GetProperty("tensors").EnumerateArray().Select(tensor => tensor.GetProperty("name").GetString()!)];
}
