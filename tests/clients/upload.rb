# Ruby's Net::HTTP.
require "net/http"

how, address, token, path, extended, name_path = ARGV
name = File.read(name_path, encoding: "UTF-8")
uri = URI(address)
request = (how == "put" ? Net::HTTP::Put : Net::HTTP::Post).new(uri)
request["Authorization"] = "Bearer #{token}"
file = File.open(path, "rb")
if how == "put"
  request["Content-Type"] = "image/jpeg"
  request["Content-Disposition"] = "attachment; filename*=#{extended}"
  request["Content-Length"] = file.size
  request.body_stream = file
else
  request.set_form([["file", file, { filename: name, content_type: "image/jpeg" }]], "multipart/form-data")
end
answer = Net::HTTP.start(uri.host, uri.port) { |http| http.request(request) }
puts answer.code
print answer.body
